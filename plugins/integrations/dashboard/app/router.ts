import { createRouter, createWebHashHistory } from 'vue-router'
import { can } from './api/session.ts'
// Most visits begin with this screen. The other screens are loaded separately.
import OverviewScreen from './screens/OverviewScreen.vue'

/** The screens of the navigation, in its order. The digits 1 to 9 open them. */
export const SCREENS = [
  { name: 'overview', path: '/', title: 'Overview', icon: 'overview', needs: 'queues.read' },
  { name: 'queues', path: '/queues', title: 'Queues', icon: 'queues', needs: 'queues.read' },
  { name: 'jobs', path: '/jobs', title: 'Jobs', icon: 'jobs', needs: 'jobs.read' },
  { name: 'runs', path: '/runs', title: 'Runs', icon: 'runs', needs: 'runs.read' },
  { name: 'errors', path: '/errors', title: 'Errors', icon: 'errors', needs: 'errors.read' },
  { name: 'waits', path: '/waits', title: 'Waits', icon: 'waits', needs: 'waits.read' },
  { name: 'schedules', path: '/schedules', title: 'Schedules', icon: 'schedules', needs: 'schedules.read' },
  { name: 'instances', path: '/instances', title: 'Instances', icon: 'instances', needs: 'instances.read' },
  {
    name: 'send',
    path: '/send',
    title: 'Send',
    icon: 'send',
    needs: 'workers.read',
    any: ['jobs.enqueue', 'flows.start'],
  },
  { name: 'bulk', path: '/bulk', title: 'Bulk actions', icon: 'bulk', needs: 'bulk.read' },
  { name: 'audit', path: '/audit', title: 'Audit', icon: 'audit', needs: 'audit.read' },
] as const satisfies readonly { any?: readonly string[]; needs: string; [key: string]: unknown }[]
type Screen = (typeof SCREENS)[number]

/** Returns whether the user may open a screen. Other screens are not shown. */
export function mayOpen(screen: Screen): boolean {
  return can(screen.needs) && (!('any' in screen) || screen.any.some(can))
}

/**
 * Addresses are in the fragment, because the pages may be below any path and behind any proxy. Filters, tabs and selections are
 * in the address too, so that a link shows the same view.
 */
export const router = createRouter({
  history: createWebHashHistory(),
  routes: [
    { name: 'overview', path: '/', component: OverviewScreen },
    { name: 'queues', path: '/queues', component: () => import('./screens/QueuesScreen.vue') },
    { name: 'queue', path: '/queues/:queue', component: () => import('./screens/QueueScreen.vue') },
    { name: 'jobs', path: '/jobs', component: () => import('./screens/JobsScreen.vue') },
    { name: 'job', path: '/jobs/:queue/:job', component: () => import('./screens/JobScreen.vue') },
    { name: 'runs', path: '/runs', component: () => import('./screens/RunsScreen.vue') },
    { name: 'run', path: '/runs/:runId', component: () => import('./screens/RunScreen.vue') },
    { name: 'errors', path: '/errors', component: () => import('./screens/ErrorsScreen.vue') },
    { name: 'error', path: '/errors/:fingerprint', component: () => import('./screens/ErrorScreen.vue') },
    { name: 'schedules', path: '/schedules', component: () => import('./screens/SchedulesScreen.vue') },
    { name: 'instances', path: '/instances', component: () => import('./screens/InstancesScreen.vue') },
    { name: 'waits', path: '/waits', component: () => import('./screens/WaitsScreen.vue') },
    { name: 'audit', path: '/audit', component: () => import('./screens/AuditScreen.vue') },
    { name: 'bulk', path: '/bulk', component: () => import('./screens/BulkScreen.vue') },
    { name: 'send', path: '/send', component: () => import('./screens/SendScreen.vue') },
    { name: 'missing', path: '/:path(.*)*', component: () => import('./screens/MissingScreen.vue') },
  ],
  scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
})

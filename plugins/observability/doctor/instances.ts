import type { Diagnosis, Kernel } from '../../../kernel/index.ts'

/** Finds out which processes run, and whether they have the same version. */
export async function checkInstances(kernel: Kernel): Promise<Diagnosis[]> {
  const instances = await kernel.instances()
  if (instances.length === 0) {
    const message = 'No process that runs workers is known.'
    const hint = 'Start one, for example with: nuxt-queue start'
    return [{ check: 'instances', level: 'warning', message, hint }]
  }
  const versions = [...new Set(instances.map(({ version }) => version))].toSorted()
  if (versions.length > 1) {
    const message = `The running processes have several versions of nuxt-queue: ${versions.join(', ')}.`
    const hint = 'Finish the deployment, so that all processes have the same version.'
    return [{ check: 'instances.versions', level: 'warning', message, hint }]
  }
  const workers = new Set(instances.flatMap((one) => one.workers.map(({ id }) => id))).size
  const message = `Running processes: ${instances.length}, all of version ${versions[0]}. Their workers: ${workers}.`
  return [{ check: 'instances', level: 'ok', message }]
}

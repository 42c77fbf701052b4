/** The page that Nuxt DevTools shows in its tab. It needs no build step and uses the API next to it. */
export const DEVTOOLS_PAGE = /* html */ `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Queue</title>
<style>
  :root { color-scheme: light dark; font: 14px/1.5 system-ui, sans-serif; --line: #8883; --soft: #888; }
  body { margin: 0; padding: 1rem 1.25rem; }
  h2 { font-size: .8rem; text-transform: uppercase; letter-spacing: .08em; color: var(--soft); margin: 1.2rem 0 .4rem; }
  table { border-collapse: collapse; width: 100%; }
  th { text-align: left; font-weight: 500; color: var(--soft); }
  th, td { padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
  td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
  tr.run { cursor: pointer; }
  tr.run:hover, tr.run.open { background: #8881; }
  .status::before { content: '●'; margin-right: .4em; }
  .completed { color: #16a34a; } .failed { color: #dc2626; } .running { color: #2563eb; } .cancelled { color: var(--soft); }
  button { font: inherit; padding: .1rem .6rem; }
  pre { margin: 0; white-space: pre-wrap; word-break: break-word; font-size: 12px; color: var(--soft); }
  #empty { color: var(--soft); }
</style>
<h2>Queues</h2>
<table><thead><tr id="states"></tr></thead><tbody id="queues"></tbody></table>
<h2>Runs</h2>
<table><tbody id="runs"></tbody></table>
<p id="empty">No runs yet.</p>
<h2 id="title" hidden></h2>
<table><tbody id="events"></tbody></table>
<script type="module">
const api = new URL('api/', location.href)
const STATES = ['waiting', 'delayed', 'active', 'completed', 'failed', 'cancelled']
const byId = (id) => document.getElementById(id)
let shown, following

async function get(path) {
  const response = await fetch(new URL(path, api))
  if (!response.ok) throw new Error((await response.json()).detail)
  return response.json()
}

function element(name, text, attributes = {}) {
  const made = Object.assign(document.createElement(name), attributes)
  if (text !== undefined) made.textContent = text
  return made
}

function row(...cells) {
  const made = element('tr')
  made.append(...cells)
  return made
}

async function showQueues() {
  const { queues } = await get('queues')
  byId('queues').replaceChildren(...queues.map(({ name, paused, counts }) => {
    const act = element('button', paused ? 'resume' : 'pause')
    act.onclick = async () => {
      const target = new URL('queues/' + encodeURIComponent(name) + (paused ? '/resume' : '/pause'), api)
      await fetch(target, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' })
      await showQueues()
    }
    const button = element('td')
    button.append(act)
    const numbers = STATES.map((state) => element('td', counts[state], { className: 'number' }))
    return row(element('td', name), ...numbers, button)
  }))
}

async function showRuns() {
  const { runs } = await get('runs?limit=30')
  byId('empty').hidden = runs.length > 0
  byId('runs').replaceChildren(...runs.map((run) => {
    const took = run.endedAt ? run.endedAt - run.startedAt + ' ms' : ''
    const made = row(
      element('td', run.status, { className: 'status ' + run.status }),
      element('td', run.flow ?? run.name),
      element('td', new Date(run.startedAt).toLocaleTimeString()),
      element('td', took, { className: 'number' }),
      element('td', run.runId),
    )
    made.className = run.runId === shown ? 'run open' : 'run'
    made.onclick = () => follow(run.runId)
    return made
  }))
}

function follow(runId) {
  following?.close()
  shown = runId
  byId('title').hidden = false
  byId('title').textContent = 'Run ' + runId
  byId('events').replaceChildren()
  following = new EventSource(new URL('runs/' + encodeURIComponent(runId) + '/stream', api))
  following.onmessage = ({ data }) => {
    const event = JSON.parse(data)
    const detail = element('td')
    detail.append(element('pre', event.data === undefined ? '' : JSON.stringify(event.data)))
    const time = new Date(event.ts).toISOString().slice(11, 23)
    byId('events').append(row(element('td', event.seq, { className: 'number' }), element('td', time),
      element('td', event.type), element('td', event.step ?? ''), detail))
  }
  following.addEventListener('end', () => following.close())
  void showRuns()
}

let due
function refresh() {
  due ??= setTimeout(async () => {
    due = undefined
    await Promise.all([showQueues(), showRuns()]).catch(() => {})
  }, 200)
}

byId('states').append(element('th', ''), ...STATES.map((state) => element('th', state, { className: 'number' })), element('th', ''))
const all = new EventSource(new URL('stream?after=now', api))
all.onmessage = all.onopen = refresh
refresh()
</script>
</html>
`

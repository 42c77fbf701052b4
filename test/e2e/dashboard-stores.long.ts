// On each kind of store. `npm test` goes through the screens on Redis alone, and dashboard.test.ts on memory.
import './dashboard-stores.test.ts'

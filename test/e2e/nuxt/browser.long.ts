// On each preset. `npm test` opens the page on Redis alone.
import './browser.test.ts'

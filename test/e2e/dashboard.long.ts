// Each screen on a desktop and a phone, in both themes. `npm test` checks each screen with one combination.
import './dashboard.test.ts'

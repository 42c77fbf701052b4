// Each screen on a desktop and a phone, in both themes. `npm test` looks at each on one of them.
import './dashboard.test.ts'

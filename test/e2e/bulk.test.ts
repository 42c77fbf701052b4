import { testKills } from './bulk-kills.ts'

await testKills(500)

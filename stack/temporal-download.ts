// Run as a process of its own by temporal-cli.ts, because a download by the SDK cannot be cancelled.
import { TestWorkflowEnvironment } from '@temporalio/testing'

const downloadDir = process.argv[2]
if (downloadDir === undefined) throw new Error('the folder to download to is missing')
const environment = await TestWorkflowEnvironment.createLocal({
  server: { executable: { type: 'cached-download', downloadDir, ttl: '365d' } },
})
await environment.teardown()

import { pino } from 'pino'
import { defineJob } from '../jobs/job.js'
import { startWorker } from '../jobs/worker.js'
import { openWorkTable, type WorkTable } from './work-table.js'

/**
 * A worker to be killed: it never ends a job. Every other job has had its effect by then. Its lines of output
 * name the rows that it holds. Arguments: the database's URL and, for that backend, Redis'.
 */
const [databaseUrl = '', redisUrl] = process.argv.slice(2)
let held = 0

const job = defineJob<WorkTable>({
  name: 'finish-work',
  due: (table) => table.due(),
  async run(id, table) {
    if (++held % 2 === 0) await table.finish(id)
    process.stdout.write(`${id}\n`)
    await new Promise(() => undefined)
  },
})

startWorker({
  config: { databaseUrl, redisUrl },
  services: openWorkTable(databaseUrl),
  jobs: [job],
  log: pino({ level: 'silent' }),
})

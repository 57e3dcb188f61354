import type { FastifyInstance } from 'fastify'
import metricsPlugin from 'fastify-metrics'
import type { DatabaseOptions } from '../db/database.js'
import type { QueueCounts } from '../jobs/queue.js'

/** Receives the duration of every statement. It exists before the pages that show it, because the pool comes first. */
export type QueryObserver = {
  observe: NonNullable<DatabaseOptions['observe']>
  /** Where observations go once there is a registry. */
  connect(observe: NonNullable<DatabaseOptions['observe']>): void
}

export function createQueryObserver(): QueryObserver {
  let target: NonNullable<DatabaseOptions['observe']> = () => undefined
  return {
    observe: (query, seconds, failed) => target(query, seconds, failed),
    connect: (observe) => {
      target = observe
    },
  }
}

export type MetricsOptions = { queries: QueryObserver; queueCounts: () => Promise<QueueCounts | undefined> }

const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** Counts and times requests and statements, and shows them at `/metrics` in Prometheus' text format. */
export async function registerMetrics(app: FastifyInstance, { queries, queueCounts }: MetricsOptions): Promise<void> {
  await app.register(metricsPlugin.default, {
    endpoint: null,
    clearRegisterOnInit: false,
    defaultMetrics: { enabled: false },
    routeMetrics: { enabled: false },
  })
  const { client } = app.metrics
  const register = new client.Registry()
  const registers = [register]
  client.collectDefaultMetrics({ register })
  const labelNames = ['method', 'operation', 'status'] as const
  const requests = new client.Counter({
    name: 'http_requests_total',
    help: 'Requests answered.',
    labelNames,
    registers,
  })
  const errors = new client.Counter({
    name: 'http_requests_errors_total',
    help: 'Requests answered with 5xx.',
    labelNames,
    registers,
  })
  const durations = new client.Histogram({
    name: 'http_requests_duration_seconds',
    help: 'Time from the request to its reply.',
    labelNames,
    buckets: BUCKETS,
    registers,
  })
  const statements = new client.Histogram({
    name: 'db_query_duration_seconds',
    help: 'Time from sending a statement to its last row.',
    labelNames: ['query', 'status'],
    buckets: BUCKETS,
    registers,
  })
  new client.Gauge({
    name: 'job_queue_entries',
    help: 'Entries of the job queue by state.',
    labelNames: ['state'],
    registers,
    async collect() {
      for (const [state, count] of Object.entries((await queueCounts()) ?? {})) this.set({ state }, count)
    },
  })
  queries.connect((query, seconds, failed) => statements.observe({ query, status: failed ? 'error' : 'ok' }, seconds))
  app.addHook('onResponse', (request, reply, done) => {
    const operation = request.routeOptions.config.operationId ?? 'none'
    const labels = { method: request.method, operation, status: String(reply.statusCode) }
    requests.inc(labels)
    durations.observe(labels, reply.elapsedTime / 1000)
    if (reply.statusCode >= 500) errors.inc(labels)
    done()
  })
  app.get('/metrics', { logLevel: 'silent' }, async (_request, reply) =>
    reply.type(register.contentType).send(await register.metrics()),
  )
}

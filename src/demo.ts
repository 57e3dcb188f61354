import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'

export async function fillDemo(_app: FastifyInstance, _log: Logger): Promise<void> {}

import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { withClient } from '../db/client.js'
import type { TestDatabase } from './database.js'

/** Rows that need work, and the effects that the work had: what a job is tested on. */
export interface WorkTable {
  add(count?: number): Promise<string[]>
  due(): Promise<string[]>
  /** Does a row's work unless it is done, in one transaction. */
  finish(id: string): Promise<void>
  /** How often each row's work had its effect. */
  effects(): Promise<Map<string, number>>
  close(): Promise<void>
}

/** Makes the table in a database, and opens it as the role that serves requests. */
export async function createWorkTable(database: TestDatabase): Promise<WorkTable> {
  await withClient(database.ownerUrl, (owner) =>
    owner.query(`
      create table work (id uuid primary key, done boolean not null default false);
      create table effect (work_id uuid not null);
      grant all on work, effect to zenith_app`),
  )
  return openWorkTable(database.appUrl)
}

/** Opens the table of a database that has it. */
export function openWorkTable(url: string): WorkTable {
  const pool = new pg.Pool({ connectionString: url, max: 5 }).on('error', () => undefined)
  return {
    async add(count = 1) {
      const ids = Array.from({ length: count }, () => randomUUID())
      await pool.query('insert into work (id) select unnest($1::uuid[])', [ids])
      return ids
    },
    async due() {
      const { rows } = await pool.query<{ id: string }>('select id from work where not done limit 200')
      return rows.map((row) => row.id)
    },
    async finish(id) {
      await pool.query(
        `with finished as (update work set done = true where id = $1 and not done returning id)
         insert into effect select id from finished`,
        [id],
      )
    },
    async effects() {
      const { rows } = await pool.query<{ id: string; times: number }>(
        'select work_id as id, count(*)::int as times from effect group by 1',
      )
      return new Map(rows.map((row) => [row.id, row.times]))
    },
    close: () => pool.end(),
  }
}

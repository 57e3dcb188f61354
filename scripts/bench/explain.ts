import type { BenchDatabase } from './database.js'

export async function explainAll(_database: BenchDatabase, _log: (message: string) => void): Promise<void> {}

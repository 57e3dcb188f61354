// Starts the built server as `npm start` does and asks for its health, then stops it.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const dataDir = mkdtempSync(join(tmpdir(), 'zenith-smoke-'))
const port = 20_000 + Math.floor(Math.random() * 10_000)
const server = spawn(process.execPath, ['dist/src/main.js'], {
  env: { ...process.env, DATA_DIR: dataDir, PORT: String(port), LOG_LEVEL: 'warn' },
  stdio: 'inherit',
})
try {
  let healthy = false
  for (let attempt = 0; attempt < 60 && !healthy && server.exitCode === null; attempt++) {
    await sleep(500)
    healthy = await fetch(`http://127.0.0.1:${port}/healthz`).then(
      (reply) => reply.ok,
      () => false,
    )
  }
  if (!healthy) throw new Error('the server did not become healthy')
} finally {
  const exited = new Promise((resolve) => server.once('exit', resolve))
  if (server.exitCode === null && server.kill('SIGINT')) await exited
  rmSync(dataDir, { recursive: true, force: true })
}
console.log('smoke test passed')

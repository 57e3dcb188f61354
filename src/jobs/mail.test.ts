import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createMailer, type Mail } from './mail.js'

const log = pino({ level: 'silent' })
const mailFrom = 'Zenith CRM <no-reply@crm.example>'
const invitation: Mail = {
  to: 'ada@example.com',
  subject: 'Willkommen, Jürgen',
  text: 'Hello\nAda',
  id: 'invitation-1',
}

describe('mail without a server', () => {
  let dataDir: string
  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'zenith-mail-'))
  })
  afterEach(() => rm(dataDir, { recursive: true }))

  async function written(mail: Mail): Promise<string> {
    await createMailer({ mailFrom, dataDir }, log).send(mail)
    const files = await readdir(join(dataDir, 'mail'))
    expect(files).toHaveLength(1)
    expect(files[0]).toMatch(/^[\dTZ.-]+-[\w-]+\.eml$/)
    return readFile(join(dataDir, 'mail', String(files[0])), 'utf8')
  }

  it('becomes a file that a mail program opens', async () => {
    const text = await written({ ...invitation, html: '<p>Hello Ada</p>' })
    expect(text).toContain('From: Zenith CRM <no-reply@crm.example>')
    expect(text).toContain('To: ada@example.com')
    expect(text).toContain('Message-ID: <invitation-1@crm.example>')
    expect(text).toContain('Subject: =?UTF-8?Q?Willkommen=2C_J=C3=BCrgen?=')
    expect(text).toContain('<p>Hello Ada</p>')
  })

  it('keeps a subject with line breaks in its own header', async () => {
    const text = await written({ ...invitation, subject: 'Hi\r\nBcc: eve@example.com\r\n\r\nbody' })
    const head = text.slice(0, text.indexOf('\r\n\r\n'))
    expect(head).not.toMatch(/^Bcc:/im)
    expect(head).toContain('Subject: Hi Bcc: eve@example.com body')
  })

  it.each([
    'ada@example.com, eve@example.com',
    'ada@example.com\r\nBcc: eve@example.com',
    'Ada <ada@example.com>',
    'ada',
    'undisclosed: ada@example.com;',
    '',
  ])('refuses %j as a recipient', async (to) => {
    await expect(createMailer({ mailFrom, dataDir }, log).send({ ...invitation, to })).rejects.toThrow('mail address')
    await expect(readdir(join(dataDir, 'mail'))).rejects.toThrow('ENOENT')
  })

  it('refuses an id that would lead out of the folder', async () => {
    const mailer = createMailer({ mailFrom, dataDir }, log)
    await expect(mailer.send({ ...invitation, id: '../../escape' })).rejects.toThrow('mail id')
  })
})

describe('mail with a server', () => {
  /** A server that takes one mail, or says no to its recipient. */
  async function mailServer(recipientReply: string) {
    const lines: string[] = []
    const server = createServer((socket) => {
      let inData = false
      socket.write('220 test\r\n')
      createInterface({ input: socket, crlfDelay: Number.POSITIVE_INFINITY }).on('line', (line) => {
        lines.push(line)
        if (inData) {
          if (line !== '.') return
          inData = false
          socket.write('250 taken\r\n')
        } else if (line.startsWith('RCPT')) socket.write(`${recipientReply}\r\n`)
        else if (line === 'DATA') {
          inData = true
          socket.write('354 go on\r\n')
        } else if (line === 'QUIT') socket.end('221 bye\r\n')
        else socket.write('250 test\r\n')
      })
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const smtpUrl = `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`
    return { lines, mailer: createMailer({ smtpUrl, mailFrom, dataDir: '/nowhere' }, log), close: () => server.close() }
  }

  it('is handed to it', async () => {
    const { lines, mailer, close } = await mailServer('250 ok')
    await mailer.send(invitation)
    close()
    expect(lines).toContain('MAIL FROM:<no-reply@crm.example>')
    expect(lines).toContain('RCPT TO:<ada@example.com>')
    expect(lines).toContain('Message-ID: <invitation-1@crm.example>')
  })

  it('fails when it refuses, so that the job is tried again', async () => {
    const { mailer, close } = await mailServer('450 busy')
    await expect(mailer.send(invitation)).rejects.toThrow('450')
    close()
  })
})

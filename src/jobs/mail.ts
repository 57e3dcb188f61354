import { randomUUID } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createTransport } from 'nodemailer'
import type { Log } from '../db/redis.js'

export interface Mail {
  /** One address, without a display name. */
  readonly to: string
  readonly subject: string
  readonly text: string
  readonly html?: string
  /** The row that this mail is for: a repeated delivery then carries the same Message-ID. */
  readonly id?: string
}

export interface MailConfig {
  readonly smtpUrl?: string | undefined
  readonly mailFrom: string
  readonly dataDir: string
}

export interface Mailer {
  /** Resolves once the mail server, or the disk, has the mail. */
  send(mail: Mail): Promise<void>
}

type Message = Parameters<ReturnType<typeof createTransport>['sendMail']>[0]

/** Sends through the SMTP server of the configuration; without one, each mail becomes a file to look at. */
export function createMailer(config: MailConfig, log: Log): Mailer {
  const deliver = config.smtpUrl ? toServer(config.smtpUrl) : toFiles(join(config.dataDir, 'mail'), log)
  const domain = config.mailFrom.replace(/^.*@|[\s>]+$/g, '')
  return {
    async send({ to, subject, text, html, id = randomUUID() }) {
      // nodemailer would also read a list, a display name or a comment here.
      if (!/^[^\s@,;:<>()[\]"\\]+@[^\s@,;:<>()[\]"\\]+$/.test(to)) throw new Error('not a mail address')
      if (!/^[\w-]+$/.test(id)) throw new Error('not a mail id')
      const message = {
        messageId: `<${id}@${domain}>`,
        from: config.mailFrom,
        to: { name: '', address: to },
        subject: subject.replace(/\p{Cc}+/gu, ' '),
        text,
        ...(html === undefined ? {} : { html }),
        disableFileAccess: true,
        disableUrlAccess: true,
      }
      await deliver(message, id)
    },
  }
}

function toServer(url: string) {
  // nodemailer would wait ten minutes for a silent server, and the job with it.
  const transport = createTransport({ url, connectionTimeout: 10_000, greetingTimeout: 10_000, socketTimeout: 30_000 })
  return async (message: Message) => {
    await transport.sendMail(message)
  }
}

function toFiles(directory: string, log: Log) {
  const transport = createTransport({ streamTransport: true, buffer: true })
  return async (message: Message, id: string) => {
    const mail = await transport.sendMail(message)
    const file = join(directory, `${new Date().toISOString().replaceAll(':', '-')}-${id}.eml`)
    await mkdir(directory, { recursive: true })
    await writeFile(file, mail.message, { mode: 0o600 })
    log.info({ file }, 'mail written to a file; set SMTP_URL to send it')
  }
}

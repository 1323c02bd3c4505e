// A service in Node that asks for a human yes by HTTP, hears the answer by a signed webhook, and refunds once.
// Node's own library is all it needs.
//
//   COUNTERSIGN_URL=… COUNTERSIGN_API_KEY=cs_… node refund.mjs PORT ORDER AMOUNT
import { createHmac, timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:http'

const [port, order, amount] = process.argv.slice(2)
const { COUNTERSIGN_URL: url, COUNTERSIGN_API_KEY: key } = process.env
const TOLERANCE_S = 300
const LONGEST_BODY = 1_000_000

async function call(method, path, { body, idempotencyKey } = {}) {
  const headers = { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' }
  if (idempotencyKey) headers['Idempotency-Key'] = idempotencyKey
  const answer = await fetch(url + path, { method, headers, body: body && JSON.stringify(body) })
  const found = await answer.json()
  if (!answer.ok) throw new Error(`${answer.status}: ${found.detail}`)
  return found
}

// The body as bytes: parsed and written again, it would have another signature.
function verified(headers, body, secrets) {
  const id = headers['webhook-id'] ?? ''
  const sent = headers['webhook-timestamp'] ?? ''
  if (!(Math.abs(Date.now() / 1000 - Number(sent)) <= TOLERANCE_S)) return null
  const given = (headers['webhook-signature'] ?? '').split(' ').map((each) => Buffer.from(each))
  for (const secret of secrets) {
    const mac = createHmac('sha256', Buffer.from(secret.replace('whsec_', ''), 'base64'))
    const good = Buffer.from('v1,' + mac.update(`${id}.${sent}.`).update(body).digest('base64'))
    if (given.some((each) => each.length === good.length && timingSafeEqual(each, good))) return JSON.parse(body)
  }
  return null
}

async function bodyOf(request) {
  const parts = []
  let length = 0
  for await (const part of request) {
    length += part.length
    if (length > LONGEST_BODY) return null
    parts.push(part)
  }
  return Buffer.concat(parts)
}

const { secrets } = await call('GET', '/webhooks/secret')
const seen = new Set() // a real service keeps this in its database

async function hear(request, response) {
  const body = await bodyOf(request)
  const told = body && verified(request.headers, body, secrets)
  if (!told) return response.writeHead(400).end()
  response.writeHead(204).end()
  const id = request.headers['webhook-id']
  if (told.type === 'test' || seen.has(id)) return
  seen.add(id)
  await finish(told.data)
}

async function finish({ id, status, decided_by: people }) {
  if (status === 'approved') {
    // Of all calls one gets 200: the refund happens once, whatever is sent or started again.
    await call('POST', `/requests/${encodeURIComponent(id)}/consume`, { idempotencyKey: `refund:${order}` })
    console.log(`refunded ${amount} EUR for order ${order}, approved by ${people.map((each) => each.name).join(', ')}`)
  } else {
    console.log(`${status}: ${people.map((each) => each.reason).join(', ')}`)
  }
}

const server = createServer((request, response) => hear(request, response).catch((error) => console.error(error.message)))
server.listen(Number(port), '127.0.0.1', async () => {
  const callback = `http://127.0.0.1:${port}/hooks` // https in production
  const body = { kind: 'refund', subject: `order ${order}`, amount, currency: 'EUR', callback }
  const asked = await call('POST', '/requests', { body, idempotencyKey: `refund:${order}` })
  console.log(`${asked.id} waits for a human yes`)
})

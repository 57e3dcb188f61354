/** Whether an `Accept` header (RFC 9110, 12.5.1) allows JSON, and so also problems and parts of records. */
export function acceptsJson(accept: string | undefined): boolean {
  if (accept === undefined || accept === '*/*' || accept === 'application/json') return true
  return accept.split(',').some((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
    const refused = parameters.some((parameter) => /^q\s*=\s*0(\.0{0,3})?$/.test(parameter))
    return !refused && /^(\*\/\*|application\/(\*|json|problem\+json|vnd\.zenith\.partial\+json))$/.test(type)
  })
}

/** Whether a `Content-Type` is one of the declared ones, in UTF-8. */
export function isMediaType(contentType: string, declared: readonly string[]): boolean {
  const [type = '', ...parameters] = contentType.split(';').map((part) => part.trim().toLowerCase())
  return declared.includes(type) && parameters.every((parameter) => /^charset\s*=\s*"?utf-?8"?$/.test(parameter))
}

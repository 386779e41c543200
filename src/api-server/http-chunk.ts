const crlf = '\r\n';

/** Bytes or text as one chunk of a chunked HTTP/1.1 body (RFC 9112 section 7.1). It must not be empty: an empty chunk ends the body. */
export function toChunk(content: string | Uint8Array): Buffer {
  const size = typeof content === 'string' ? Buffer.byteLength(content) : content.length;
  const head = size.toString(16) + crlf;
  const chunk = Buffer.allocUnsafe(head.length + size + crlf.length);
  chunk.write(head, 0, 'latin1');
  if (typeof content === 'string') chunk.write(content, head.length, 'utf8');
  else chunk.set(content, head.length);
  chunk.write(crlf, head.length + size, 'latin1');
  return chunk;
}

/** What is in a chunk: for clients of HTTP/1.0, which know no chunks. */
export const contentOf = (chunk: Buffer): Buffer => chunk.subarray(chunk.indexOf(crlf) + crlf.length, chunk.length - crlf.length);

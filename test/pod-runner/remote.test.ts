import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  BadQuery,
  negotiate,
  parseCommandOptions,
  parseForwardPorts,
  parsePodRequest,
  parsePort,
} from '../../src/pod-runner/remote/requests.ts';
import { readSizes } from '../../src/pod-runner/remote/sizes.ts';
import { commandEnded, encodeStatus, internalFailure } from '../../src/pod-runner/remote/status.ts';
import { shellWord } from '../../src/pod-runner/render/shell-words.ts';

describe('requests to the kubelet API', () => {
  test.each([
    ['/exec/ns/pod/main', { to: 'exec', namespace: 'ns', pod: 'pod', uid: '', container: 'main' }],
    ['/attach/ns/pod/uid/main', { to: 'attach', namespace: 'ns', pod: 'pod', uid: 'uid', container: 'main' }],
    ['/portForward/ns/pod', { to: 'portForward', namespace: 'ns', pod: 'pod', uid: '' }],
    ['/portForward/ns/pod/uid', { to: 'portForward', namespace: 'ns', pod: 'pod', uid: 'uid' }],
    ['/containerLogs/ns/pod/main', { to: 'containerLogs', namespace: 'ns', pod: 'pod', container: 'main' }],
  ])('%s', (path, expected) => expect(parsePodRequest(path)).toEqual(expected));

  test('any other path is none', () => {
    for (const path of [
      '/',
      '/exec',
      '/exec/ns/pod',
      '/exec/ns/pod/',
      '/exec/a/b/c/d/e',
      '/run/ns/pod/main',
      '/exec/%ff/b/c',
      '/containerLogs/a/b/c/d',
    ])
      expect(parsePodRequest(path)).toBeUndefined();
    fc.assert(fc.property(fc.webPath(), (path) => void parsePodRequest(path)));
  });

  test('a terminal has no standard error of its own, and nothing at all is not enough', () => {
    const parse = (text: string) => parseCommandOptions(new URLSearchParams(text));
    expect(parse('command=sh&command=-c&input=1&output=1&error=1&tty=1')).toEqual({
      command: ['sh', '-c'],
      stdin: true,
      stdout: true,
      stderr: false,
      tty: true,
    });
    expect(() => parse('command=sh')).toThrow('you must specify at least 1 of stdin, stdout, stderr');
  });

  test('ports are whole numbers from 1 to 65535', () => {
    expect(parseForwardPorts(new URLSearchParams('port=80,443&port=53'))).toEqual([80, 443, 53]);
    for (const bad of ['', 'x', '0', '65536', '-1', '1.5', ' 1']) expect(() => parsePort(bad)).toThrow(BadQuery);
    expect(() => parseForwardPorts(new URLSearchParams())).toThrow('query parameter "port" is required');
  });

  test('the first protocol of the client that is known is taken, and the oldest of one that names none', () => {
    expect(negotiate(['v5', 'v4', 'v3'], ['v3', 'v4'])).toBe('v4');
    expect(negotiate([], ['v4'])).toBe('');
    expect(negotiate(['v9'], ['v4'])).toBeUndefined();
  });
});

test('sizes of a terminal are read however they are cut, and noise is not kept', () => {
  const sizes = [
    { width: 80, height: 24 },
    { width: 0, height: 0 },
    { width: 65_535, height: 1 },
  ];
  const text = sizes.map(({ width, height }) => `${JSON.stringify({ Width: width, Height: height })}\n`).join('');
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), (cut) => {
      const seen: unknown[] = [];
      let rest = '';
      for (let at = 0; at < text.length; at += cut) {
        const [found, left] = readSizes(rest, text.slice(at, at + cut));
        seen.push(...found);
        rest = left;
      }
      expect(seen).toEqual(sizes);
    }),
  );
  expect(readSizes('', '{"Width":-1,"Height":5}{"Width":"x"}{}}')).toEqual([[], '']);
  expect(readSizes('', 'x'.repeat(2_000))).toEqual([[], '']);
});

test('how a command ended is told as JSON to clients that know it, and as text to older ones', () => {
  expect(JSON.parse(encodeStatus(commandEnded(3), true))).toMatchObject({
    status: 'Failure',
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: '3' }] },
  });
  expect(encodeStatus(commandEnded(0), true)).toBe('{"metadata":{},"status":"Success"}');
  expect(encodeStatus(commandEnded(0), false)).toBe('');
  expect(encodeStatus(internalFailure('no'), false)).toBe('Internal error occurred: no');
});

test('words reach a command through a shell as they are', () => {
  const nasty = ["it's", '$(id)', '`id`', '', '"', '\\', '\n', "''", '*', ' a  b '];
  const { stdout } = spawnSync('sh', ['-c', `printf '%s\\0' ${nasty.map(shellWord).join(' ')}`], { encoding: 'utf8' });
  expect(stdout.split('\0').slice(0, -1)).toEqual(nasty);
});

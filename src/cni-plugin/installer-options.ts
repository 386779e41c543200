import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import { isLinkName } from './options.ts';

/** Options of the node-side installer. */
export const installerSchema = Type.Object(
  {
    /** Node whose pod CIDRs are used. */
    nodeName: Type.String({ minLength: 1 }),
    /** Folder of network configurations that the runtime reads. */
    confDir: Type.String({ pattern: '^/' }),
    /** Folder of plugins that the runtime runs. */
    binDir: Type.String({ pattern: '^/' }),
    /** Folder of address reservations. */
    stateDir: Type.String({ pattern: '^/' }),
    network: Type.String({ pattern: '^[a-zA-Z0-9][a-zA-Z0-9_.-]*$', default: 'podwire' }),
    bridge: Type.String({ default: 'podwire0' }),
    /** Bytes. IPv6 needs 1280. */
    mtu: Type.Integer({ minimum: 1_280, maximum: 65_535, default: 1_500 }),
    /** Version of the CNI spec that the configuration declares. */
    cniVersion: Type.Union(
      [Type.Literal('0.3.0'), Type.Literal('0.3.1'), Type.Literal('0.4.0'), Type.Literal('1.0.0'), Type.Literal('1.1.0')],
      {
        default: '1.1.0',
      },
    ),
    /** File name in confDir. Runtimes take the first in order. */
    confFile: Type.String({ pattern: '^[^/.][^/]*\\.conflist$', default: '10-podwire.conflist' }),
  },
  { additionalProperties: false },
);

export type InstallerOptions = Readonly<Static<typeof installerSchema>>;

/** What must be given, and what may be. */
export type InstallerInput = Pick<InstallerOptions, 'nodeName' | 'confDir' | 'binDir' | 'stateDir'> & Partial<InstallerOptions>;

/** Fills in defaults and freezes. @throws RangeError naming the option and the reason */
export function installerOptions(input: InstallerInput): InstallerOptions {
  const given = Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
  const options = Value.Default(installerSchema, given) as InstallerOptions;
  const [problem] = Value.Errors(installerSchema, options);
  if (problem) throw new RangeError(`CNI option ${problem.instancePath.slice(1) || 'set'}: ${problem.message}`);
  if (!isLinkName(options.bridge)) throw new RangeError(`CNI option bridge: ${JSON.stringify(options.bridge)} is not a link name`);
  return Object.freeze(options);
}

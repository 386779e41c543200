import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { parseConfiguration } from '../kube-proxy/index.ts';

/** Flags that a configuration file does not know, and which therefore count beside it. */
const besideTheFile: ReadonlySet<string> = new Set([
  'config',
  'writeConfigTo',
  'nodeName',
  'hostnameOverride',
  'kubeconfig',
  'ipFamilies',
  'iptablesVariant',
  'iptablesDispatch',
  'nftablesLayout',
  'serviceCidr',
  'cleanup',
  'logLevel',
  'output',
  'protocol',
  'in',
  'rendered',
]);

/**
 * Reads the file of `--config` before the command runs: its settings become the flag value `fromFile`. What of the file or of the command line
 * has no effect is told on standard error. @throws Error naming the file and what is wrong with it
 */
export function useConfigurationFile(command: Command): void {
  command.hook('preAction', (self, action) => {
    if (self !== action) return;
    const file = action.getOptionValue('config') as string | undefined;
    if (file === undefined) return;
    let text: string;
    try {
      text = readFileSync(file, 'utf8');
    } catch (error) {
      throw new Error(`--config ${file}: cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`, { cause: error });
    }
    const settings = parseConfiguration(text, file);
    const ignored = action.options
      .filter((option) => action.getOptionValueSource(option.attributeName()) === 'cli' && !besideTheFile.has(option.attributeName()))
      .map((option) => `${option.long}: ignored, since --config is given`);
    for (const warning of [...settings.warnings.map((each) => `${file}: ${each}`), ...ignored])
      process.stderr.write(`warning: ${warning}\n`);
    action.setOptionValueWithSource('fromFile', settings, 'config');
    if (settings.verbosity !== undefined && action.getOptionValueSource('logLevel') === 'default')
      action.setOptionValueWithSource('logLevel', logLevelOf(settings.verbosity), 'config');
    for (const [option, value] of [
      ['healthBindAddress', settings.healthzBindAddress],
      ['metricsBindAddress', settings.metricsBindAddress],
    ] as const)
      if (value && action.getOptionValueSource(option) !== undefined) action.setOptionValueWithSource(option, value, 'config');
  });
}

/** The log level of a verbosity of klog, whose daemons are said to run at 2 and to be debugged at 4 and more. */
export const logLevelOf = (verbosity: number): string => (verbosity >= 6 ? 'trace' : verbosity >= 4 ? 'debug' : 'info');

/** Flags of kube-proxy that a command line may carry and that mean nothing here: the values are taken and not used. */
export const flagsWithoutEffect = [
  '--bind-address <address>',
  '--bind-address-hard-fail [boolean]',
  '--config-sync-period <duration>',
  '--feature-gates <gates>',
  '--kube-api-burst <number>',
  '--kube-api-content-type <type>',
  '--kube-api-qps <number>',
  '--logging-format <format>',
  '--profiling [boolean]',
  '--show-hidden-metrics-for-version <version>',
  '--vmodule <settings>',
] as const;

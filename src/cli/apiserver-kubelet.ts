import type { Command } from 'commander';
import { type KubeletClientOptions, kubeletClientDefaults } from '../api-server/options.ts';
import { durationOption, list } from './flags.ts';

export interface KubeletFlags {
  readonly kubeletCertificateAuthority?: string;
  readonly kubeletClientCertificate?: string;
  readonly kubeletClientKey?: string;
  readonly kubeletPreferredAddressTypes: readonly string[];
  readonly kubeletTimeout: number;
}

/** kube-apiserver's flags for what kubelets answer: logs, exec, attach, port-forward. */
export function configureKubelet(command: Command): void {
  command
    .option('--kubelet-certificate-authority <file>', "authorities of the kubelets' certificates, PEM (default: these are not checked)")
    .option('--kubelet-client-certificate <file>', 'certificate by which kubelets know this server, PEM')
    .option('--kubelet-client-key <file>', 'its private key, PEM')
    .option('--kubelet-preferred-address-types <types>', 'types of node addresses to reach kubelets at, the best first', list, [
      ...kubeletClientDefaults.preferredAddressTypes,
    ])
    .addOption(durationOption('--kubelet-timeout <time>', 'how long a connection to a kubelet may take to stand', '5s'));
}

/** The settings of these flags. @throws Error in plain words when a key has no certificate, or the other way round. */
export function kubeletOptions(flags: KubeletFlags): KubeletClientOptions {
  const { kubeletClientCertificate, kubeletClientKey } = flags;
  if ((kubeletClientCertificate === undefined) !== (kubeletClientKey === undefined))
    throw new Error('--kubelet-client-certificate and --kubelet-client-key need each other');
  return {
    certificateAuthority: flags.kubeletCertificateAuthority,
    clientCertificate: kubeletClientCertificate,
    clientKey: kubeletClientKey,
    preferredAddressTypes: flags.kubeletPreferredAddressTypes,
    timeout: flags.kubeletTimeout,
  };
}

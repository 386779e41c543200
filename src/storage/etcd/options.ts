/** Where etcd is and how to speak to it; the names are those of kube-apiserver's --etcd-* flags. */
export interface EtcdOptions {
  /** `https://host:2379`, or `http://` on a loopback address. At least one; the next is tried when one does not answer. */
  readonly servers: readonly string[];
  /** Replaces `/registry` in etcd's keys. */
  readonly prefix: string;
  /** PEM. Needed for https, unless the system's authorities are to be believed. */
  readonly ca: Buffer | undefined;
  /** Certificate and key of the client, PEM. */
  readonly clientCertificate: { readonly certificate: Buffer; readonly key: Buffer } | undefined;
  /** Between compactions (ms); 0 leaves them to others. */
  readonly compactionInterval: number;
  /** How long a call may take, waiting for a connection included (ms). */
  readonly requestTimeout: number;
}

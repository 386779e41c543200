export { decodeKubernetesProtobuf, KubernetesProtobufError, type KubernetesProtobufReason } from './protobuf-decode.ts';
export { encodeKubernetesProtobuf } from './protobuf-encode.ts';

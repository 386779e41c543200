export { openApiV2Protobuf } from './openapi/v2.ts';
export { openApiV2Document } from './openapi/v2-json.ts';
export { openApiV3Document, openApiV3Paths } from './openapi/v3.ts';

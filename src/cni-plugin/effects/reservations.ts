import { join } from 'node:path';
import { readBootId } from '../../kernel/namespace-identity.ts';
import { type ClaimFiles, openClaimFiles } from '../../storage/claim-files.ts';

/** The reservations of a network, as the plugin writes them. */
export const openReservations = (stateDir: string, network: string): ClaimFiles => openClaimFiles(join(stateDir, network), readBootId());

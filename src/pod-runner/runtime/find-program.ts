import { accessSync, constants, statSync } from 'node:fs';
import { resolve } from 'node:path';

/**
 * Why a program cannot be started, in a container runtime's words; undefined when it can. A name without a slash is looked for in `path`
 * (the container's PATH), any other is relative to the working folder. `root` is where the file system to look in begins.
 */
export function programProblem(program: string, path: string, workingDir: string, root = ''): string | undefined {
  if (!isFolder(root + workingDir))
    return `chdir to cwd (${JSON.stringify(workingDir)}) set in config.json failed: no such file or directory`;
  if (!program.includes('/')) {
    const found = path.split(':').some((folder) => folder !== '' && isProgram(root + resolve(workingDir, folder, program)));
    return found ? undefined : `exec: ${JSON.stringify(program)}: executable file not found in $PATH`;
  }
  const problem = problemOf(root + resolve(workingDir, program));
  return problem === undefined ? undefined : `exec: ${JSON.stringify(program)}: ${problem}`;
}

/** A file that can be executed. */
export const isProgram = (file: string): boolean => problemOf(file) === undefined;

function problemOf(file: string): string | undefined {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile() ? undefined : 'is a directory';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES' ? 'permission denied' : 'no such file or directory';
  }
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

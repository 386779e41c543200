import { type Example, examples } from '../manifests.ts';
import type { Applies, Scenario } from '../scenario.ts';

const kindOf = ({ name }: Example): string => name.split('/', 1)[0]!;
const nameOf = ({ name }: Example): string => name.split('/')[1]!;
const gate = ({ server }: Example): Applies => (server === undefined ? {} : { server });

/** One command for all: a call for each kind and version would take minutes. Those that not every server has come by themselves. */
const throughItsLife = (all: readonly Example[]): Pick<Scenario, 'files' | 'steps' | 'leaves'> => {
  const everywhere = all.filter(({ server }) => server === undefined);
  const [older, newer] = [everywhere, all.filter(({ server }) => server !== undefined)];
  const groups = [
    { file: 'all.json', of: older },
    { file: 'newer.json', of: newer },
  ].filter(({ of }) => of.length > 0);
  return {
    files: Object.fromEntries(groups.map(({ file, of }) => [file, of.map(({ object }) => object)])),
    leaves: all.filter(({ clusterScoped }) => clusterScoped).map(({ name }) => name),
    steps: groups.flatMap(({ file, of }) => {
      const gated = gate(of[0]!);
      const events = of.some(({ name }) => name.startsWith('event/'));
      return [
        { ...gated, run: `create -f ${file}`, stdout: of.map(({ name }) => `${name} created\n`).join('') },
        { ...gated, run: `get -f ${file} -o name`, stdout: of.map(({ name }) => `${name}\n`).join('') },
        {
          ...gated,
          run: `get -f ${file} -o wide`,
          // The events' table begins with when it was.
          stdout: [
            ...of.map(({ name }) => new RegExp(events ? `\\b${nameOf({ name } as Example)}\\b` : `(^|\\n)\\S*${name.split('/')[1]} `)),
          ],
        },
        {
          ...gated,
          run: `describe -f ${file}`,
          stdout: of.flatMap((example) => [new RegExp(`(^|\\n)Name: +${nameOf(example)}\\n`), example.described]),
        },
        {
          ...gated,
          run: `apply -f ${file} --server-side --force-conflicts --dry-run=server`,
          stdout: of.map(({ name }) => `${name} serverside-applied (server dry run)\n`).join(''),
        },
        { ...gated, run: `delete -f ${file} --wait=false`, stdout: of.map(({ name }) => new RegExp(`"${name.split('/')[1]}" deleted`)) },
      ];
    }),
  };
};

export const kinds: readonly Scenario[] = [
  {
    name: 'takes, shows, describes, applies and deletes an object of every namespaced kind',
    ends: true,
    ...throughItsLife(examples.filter(({ clusterScoped }) => !clusterScoped)),
  },
  {
    name: 'takes, shows, describes, applies and deletes an object of every cluster-scoped kind',
    ends: true,
    ...throughItsLife(examples.filter(({ clusterScoped }) => clusterScoped)),
  },
  {
    name: 'explains every kind',
    // Two ways through OpenAPI: v2 for the oldest, v3 for the newest.
    ends: true,
    steps: examples.map((example) => {
      const [plural = '', ...group] = kindOf(example).split('.');
      return {
        run: `explain ${plural}${group.length > 0 ? ` --api-version=${group.join('.')}/v1` : ''}`,
        ...gate(example),
        stdout: [
          /KIND: +\w+\n/,
          /VERSION: +(\S+\/)?v1\n/,
          /DESCRIPTION:\n +\S[^]*FIELDS:\n/,
          /\n +metadata\t<Object(Meta)?>( -required-)?\n/,
        ],
      };
    }),
  },
  {
    name: 'explains fields',
    ends: true,
    steps: [
      {
        run: 'explain pods --recursive',
        stdout: [
          /\n +containers\t<\[\](Container|Object)>( -required-)?\n/,
          /\n +metadata\t<Object(Meta)?>\n/,
          /\n +terminationGracePeriodSeconds\t<integer>\n/,
        ],
      },
      { run: 'explain deployment.spec.strategy.rollingUpdate.maxSurge', stdout: [/FIELD: +maxSurge <\w+>\n/, /DESCRIPTION:\n +\S/] },
      { run: 'explain pod.spec.containers.ports', stdout: [/containerPort\t<integer> -required-\n/, /protocol\t<string>\n/] },
      { run: 'explain services --output=plaintext-openapiv2', until: 31, stdout: [/KIND: +Service\n/, /FIELDS:\n/] },
      { run: 'explain pods.nonsense', exit: 1, stderr: 'error: field "nonsense" does not exist\n' },
      { run: 'explain nonsense', exit: 1, stderr: /the server doesn't have a resource type "nonsense"/ },
    ],
  },
];

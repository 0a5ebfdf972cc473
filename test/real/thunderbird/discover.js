// Looks for the settings of an address as the Account Hub does before it shows them (views/email.mjs, #findConfig),
// without the guessing that follows when nothing is found. A question about a host of another domain is answered yes.
// Arguments: the address. Result: see foundConfig in thunderbird.go.
const [address, done] = arguments;

const { FindConfig } = ChromeUtils.importESModule("resource:///modules/accountcreation/FindConfig.sys.mjs");
const { AccountConfig } = ChromeUtils.importESModule("resource:///modules/accountcreation/AccountConfig.sys.mjs");

async function discover() {
  const questions = [];
  const started = Date.now();
  const domain = address.split("@")[1];
  const search = FindConfig.parallelAutoDiscovery(domain, address, new AbortController().signal, "", "");
  let step = await search.next();
  while (!step.done) {
    questions.push(`${step.value.scheme}://${step.value.host}`);
    step = await search.next({ acceptRedirect: true });
  }
  const milliseconds = Date.now() - started;
  const config = step.value;
  if (!config) {
    return { questions, milliseconds };
  }
  FindConfig.ewsifyConfig(config);
  AccountConfig.replaceVariables(config, "Jane", address, "");
  const { source, subSource, incoming, outgoing, incomingAlternatives, outgoingAlternatives } = config;
  return {
    questions,
    milliseconds,
    source,
    subSource,
    incoming: plain(incoming),
    outgoing: plain(outgoing),
    incomingAlternatives: incomingAlternatives.map(plain),
    outgoingAlternatives: outgoingAlternatives.map(plain),
  };
}

function plain({ type, hostname, port, socketType, auth, username }) {
  return { type, hostname, port, socketType, auth, username: String(username) };
}

discover().then(value => done({ value }), error => done({ error: `${error}\n${error.stack}` }));

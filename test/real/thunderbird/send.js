// Sends a message from an account that account.js has made.
// Arguments: the account's address, the recipient, the subject.
const [address, to, subject, done] = arguments;

const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");

async function send() {
  const account = MailServices.accounts.accounts.find(a => a.defaultIdentity?.email == address);
  const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
  fields.from = address;
  fields.to = to;
  fields.subject = subject;
  fields.body = "Sent by Thunderbird.\r\n";
  fields.forcePlainText = true;
  const parameters = Cc["@mozilla.org/messengercompose/composeparams;1"].createInstance(Ci.nsIMsgComposeParams);
  parameters.composeFields = fields;
  parameters.identity = account.defaultIdentity;
  parameters.type = Ci.nsIMsgCompType.New;
  parameters.format = Ci.nsIMsgCompFormat.PlainText;
  const composed = MailServices.compose.initCompose(parameters);
  await composed.sendMsg(Ci.nsIMsgCompDeliverMode.Now, account.defaultIdentity, account.key, null, null);
  return true;
}

send().then(value => done({ value }), error => done({ error: `${error}\n${error.stack}` }));

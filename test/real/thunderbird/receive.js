// Fetches new messages of an account until one with this subject is in its inbox.
// Arguments: the account's address, the subject. Result: who the message is from.
const [address, subject, done] = arguments;

const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");

async function receive() {
  const server = MailServices.accounts.accounts.find(a => a.defaultIdentity?.email == address).incomingServer;
  const deadline = Date.now() + 60000;
  while (Date.now() < deadline) {
    const inbox = server.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
    if (inbox) {
      server.getNewMessages(inbox, window.msgWindow, null);
      for (const message of inbox.messages) {
        if (message.mime2DecodedSubject == subject) {
          return message.mime2DecodedAuthor;
        }
      }
    }
    await new Promise(resolve => setTimeout(resolve, 250));
  }
  throw new Error(`no message "${subject}" in the inbox after a minute`);
}

receive().then(value => done({ value }), error => done({ error: `${error}\n${error.stack}` }));

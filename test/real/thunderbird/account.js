// Makes an account in the Account Hub as a person does, who types a name, an address and a password and clicks
// "Continue". Result: what stands in the account, in the form of discover.js.
// Arguments: address, password.
const [address, password, done] = arguments;

const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");

async function until(deed, look) {
  const deadline = Date.now() + 60000;
  for (;;) {
    const seen = look();
    if (seen) {
      return seen;
    }
    if (Date.now() > deadline) {
      throw new Error(`${deed}: still not after a minute; ${description()}`);
    }
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}

const hub = () => document.querySelector("account-hub-container")?.shadowRoot?.querySelector("account-hub-email");
const step = () => hub()?.querySelector(".account-hub-step:not([hidden])");
const forward = () => hub().querySelector("#emailFooter #forward");

// What a person would see, for the message when it does not go on.
function description() {
  const notice = step()?.querySelector(".account-hub-notification, #emailFormNotification");
  return `the hub shows ${step()?.id}: ${(notice ?? step())?.textContent.trim().replace(/\s+/g, " ").slice(0, 400)}`;
}

async function type(selector, text) {
  const field = await until(`find ${selector}`, () => step()?.querySelector(selector));
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

async function clickUntil(id) {
  const before = step().id;
  await until(`have "Continue" in ${before}`, () => !forward().disabled);
  forward().click();
  await until(`go from ${before} to ${id}`, () => step()?.id == id);
}

async function setUp() {
  await window.openAccountHub("MAIL");
  await until("open the hub", () => step()?.id == "emailAutoConfigSubview");
  await type("#realName", "Jane");
  await type("#email", address);
  await clickUntil("emailConfigFoundSubview");
  await clickUntil("emailPasswordSubview");
  await type("#password", password);
  await clickUntil("emailAddedSuccessSubview");
  forward().click();
  const account = MailServices.accounts.accounts.find(a => a.defaultIdentity?.email == address);
  const outgoing = MailServices.outgoingServer.getServerByKey(account.defaultIdentity.smtpServerKey);
  const { type: kind, hostname, port, socketType, authMethod, username } = account.incomingServer;
  return {
    incoming: { type: kind, hostname, port, socketType, auth: authMethod, username },
    outgoing: {
      type: outgoing.type,
      hostname: outgoing.serverURI.host,
      port: outgoing.serverURI.port,
      socketType: outgoing.socketType,
      auth: outgoing.authMethod,
      username: outgoing.username,
    },
  };
}

setUp().then(value => done({ value }), error => done({ error: `${error}\n${error.stack}` }));

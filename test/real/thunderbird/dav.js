// Looks for the calendars and address books of an address, with nothing else known but the password, by the code behind
// "New Calendar, On the Network" and "New Address Book, CardDAV".
// Arguments: the address, the password. Result: see foundDAV in dav_test.go.
const [address, password, done] = arguments;

const { CalDavProvider } = ChromeUtils.importESModule("resource:///modules/CalDavProvider.sys.mjs");
const { CardDAVUtils } = ChromeUtils.importESModule("resource:///modules/CardDAVUtils.sys.mjs");

async function find() {
  const domain = address.split("@")[1];
  const calendars = await CalDavProvider.detectCalendars(address, password, domain);
  let books = [];
  let trouble = "";
  try {
    books = await CardDAVUtils.detectAddressBooks(address, password, `https://${domain}`);
  } catch (error) {
    trouble = String(error); // so it says that it found none
  }
  return { calendars: calendars.map(c => c.uri.spec), books: books.map(b => b.url.href), trouble };
}

find().then(value => done({ value }), error => done({ error: `${error}\n${error.stack}` }));

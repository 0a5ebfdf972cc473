// Makes Thunderbird trust a certificate authority for servers.
// Arguments: the certificate, DER in base64.
const [authority, done] = arguments;
Cc["@mozilla.org/security/x509certdb;1"]
  .getService(Ci.nsIX509CertDB)
  .addCertFromBase64(authority, "CT,,");
done({ value: true });

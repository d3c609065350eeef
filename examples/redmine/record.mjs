// Signs up, reports a broken lamp, reads it, adds a note, looks at the list.
export async function act({ page, base, look }) {
  await page.goto(`${base}/account/register`);
  await page.fill("#user_login", "grace");
  await page.fill("#user_password", "secret-pass-1");
  await page.fill("#user_password_confirmation", "secret-pass-1");
  await page.fill("#user_firstname", "Grace");
  await page.fill("#user_lastname", "Hopper");
  await page.fill("#user_mail", "grace@example.org");
  await look();
  await page.click("#new_user input[type=submit]");
  await page.waitForURL("**/my/account");
  await look();
  await page.goto(`${base}/projects/street/issues`);
  await look();
  await page.goto(`${base}/projects/street/issues/new`);
  await page.fill("#issue_subject", "The lamp at the corner flickers");
  await page.fill("#issue_description", "It has done so since Monday.");
  await look();
  await page.click("#issue-form input[name=commit]");
  await page.waitForURL(/issues\/\d+$/);
  await look();
  await page.click("a.icon-edit >> nth=0");
  await page.fill("#issue_notes", "It went out.");
  await look();
  await page.click("#issue-form input[name=commit]");
  await page.waitForURL(/issues\/\d+/);
  await look();
  await page.goto(`${base}/projects/street/issues`);
}

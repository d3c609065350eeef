// Looks at the list, logs in, searches, opens a package.
export async function act({ page, base, look }) {
  await page.goto(`${base}/`);
  await page.waitForSelector("text=left-pad-1");
  await page.click("[data-testid=header--button-login]");
  await page.fill("#login--dialog-username, input[name=username]", "seed");
  await page.fill("#login--dialog-password, input[name=password]", "secret-1");
  await look();
  await page.click("#login--dialog-button-submit, [data-testid=login--dialog-button-submit], form button[type=submit]");
  await page.waitForSelector("[data-testid=logInDialogIcon], #header--button-account");
  await look();
  await page.goto(`${base}/-/web/detail/left-pad-7`);
  await page.waitForSelector("text=left-pad-7");
  await look();
  await page.goto(`${base}/`);
}

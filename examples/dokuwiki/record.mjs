// Logs in, makes a page by typing its address, edits it, reads it.
export async function act({ page, base, look }) {
  await page.goto(`${base}/doku.php/start?do=login`);
  await page.fill("input[name=u]", "ada");
  await page.fill("input[name=p]", "secret-1");
  await look();
  await page.click("form#dw__login button[type=submit]");
  await page.waitForSelector("a.action.logout, a[href*='do=logout']");
  await look();
  await page.goto(`${base}/doku.php/garden:roses`);
  await look();
  await page.goto(`${base}/doku.php/garden:roses?do=edit`);
  await page.fill("#wiki__text", "====== Roses ======\n\nThey bloom in June.\n");
  await look();
  await page.click("#edbtn__save");
  await page.waitForSelector("h1:has-text('Roses')");
  await look();
  await page.goto(`${base}/doku.php/garden:roses?do=edit`);
  await page.fill("#wiki__text", "====== Roses ======\n\nThey bloom in June and July.\n");
  await page.fill("#edit__summary", "July, too");
  await look();
  await page.click("#edbtn__save");
  await page.waitForSelector("p:has-text('July')");
  await look();
  await page.goto(`${base}/doku.php/start`);
}

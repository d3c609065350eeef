// Logs in, looks at the notes, writes one, opens it again and changes it.
export async function act({ page, base, look }) {
  await page.goto(`${base}/admin/login`);
  await page.fill("input[type=email]", "ada@example.org");
  await page.fill("input[type=password]", "secret-1");
  await look();
  await page.click("button[type=submit]");
  await page.waitForURL((url) => !url.pathname.includes("login"));
  await look();
  await page.goto(`${base}/admin/content/notes`);
  await page.waitForSelector("text=Street 7");
  await look();
  await page.goto(`${base}/admin/content/notes/+`);
  await page.fill("[data-field=title] input", "Roses of the garden");
  await page.fill("[data-field=text] textarea", "They bloom in June.");
  await look();
  await page.keyboard.press("Control+s");
  await page.waitForURL(/content\/notes\/\d+/);
  await look();
  await page.fill("[data-field=title] input", "Roses of the town");
  await look();
  await page.keyboard.press("Control+s");
  await page.waitForTimeout(1500);
  await page.goto(`${base}/admin/content/notes`);
  await page.waitForSelector("text=Street 7");
}

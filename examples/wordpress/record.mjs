// Logs in, writes a post in the block editor, publishes it, changes it, reads it, leaves a comment.
export async function act({ page, base, look }) {
  await page.goto(`${base}/wp-login.php`);
  await page.fill("#user_login", "writer1");
  await page.fill("#user_pass", "secret-1");
  await look();
  await page.click("#wp-submit");
  await page.waitForSelector("#wpadminbar");
  await look();
  await page.goto(`${base}/wp-admin/post-new.php`);
  await page.click(".edit-post-welcome-guide button[aria-label^='Close']");
  await page.fill("h1[contenteditable], .editor-post-title__input", "Roses of the garden");
  await page.press("h1[contenteditable], .editor-post-title__input", "Enter");
  await page.keyboard.type("They bloom in June.");
  await look();
  await page.click(".editor-post-publish-panel__toggle");
  await look();
  await page.click(".editor-post-publish-panel .editor-post-publish-button");
  await page.waitForSelector(".post-publish-panel__postpublish");
  const address = await page.getAttribute(".post-publish-panel__postpublish-header a", "href");
  await page.click(".editor-post-publish-panel__header button");
  await look();
  await page.fill("h1[contenteditable], .editor-post-title__input", "Roses of the town");
  await look();
  await page.click(".editor-post-publish-button");
  await page.waitForSelector("text=Post updated.");
  await look();
  await page.goto(address);
  await look();
  await page.fill("#comment", "Mine bloom in July.");
  await page.click("#submit");
  await page.waitForSelector("text=Mine bloom in July.");
  await look();
  await page.goto(`${base}/`);
}

// Logs in to the admin, makes a page, publishes it, edits it, reads it.
export async function act({ page, base, look }) {
  await page.goto(`${base}/admin/login/`);
  await page.fill("input[name=username]", "ada");
  await page.fill("input[name=password]", "secret-1");
  await look();
  await page.click("button[type=submit]");
  await page.waitForURL("**/admin/");
  await look();
  await page.goto(`${base}/admin/pages/add/home/homepage/3/`);
  await page.fill("#id_title", "A summer in the garden");
  await look();
  const publish = async () => {
    await page.click("footer [data-w-dropdown-target=toggle], footer .w-dropdown-button button[aria-expanded]");
    await page.click("button[name=action-publish]");
  };
  await publish();
  await page.waitForURL(/\/admin\/pages\/\d+\/$/);
  await look();
  await page.click("a[href$='/edit/'] >> nth=0");
  await page.waitForURL(/\/edit\/$/);
  await page.fill("#id_title", "A long summer in the garden");
  await look();
  await publish();
  await page.waitForURL(/\/admin\/pages\/\d+\/$/);
  await look();
  await page.goto(`${base}/a-summer-in-the-garden/`);
}

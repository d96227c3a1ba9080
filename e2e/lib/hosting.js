// What a host does in the demo room, and a guest at its door.
import { expect } from '@playwright/test';

/** Opens the guest list and makes an invitation: name, whether guests may publish, how many may come. Gives its link. */
export async function invite(page, { name, publish = false, uses = 1 } = {}) {
  if (!(await page.getByTestId('guest-list').isVisible())) await page.getByTestId('invite-button').click();
  const before = await page.getByTestId('pass').count();
  if (name) await page.getByTestId('invite-name').fill(name);
  await page.getByTestId('invite-publish').setChecked(publish);
  await page.getByTestId('invite-uses').selectOption(String(uses));
  await page.getByTestId('invite-make').click();
  await expect(page.getByTestId('pass')).toHaveCount(before + 1);
  const link = await page.getByTestId('invite-url').inputValue();
  expect(link).toMatch(/#invite=invite_[\w-]{20,}$/);
  return link;
}

/** Closes the guest list as a keyboard does. */
export async function closeGuestList(page) {
  await page.keyboard.press('Escape');
  await expect(page.getByTestId('guest-list')).toHaveCount(0);
}

/** Opens an invitation's link, as a private window does, and gives a name. */
export async function openInvitation(page, link, name = '') {
  await page.goto(link);
  await expect(page.getByTestId('guest-lobby')).toBeVisible();
  if (name) await page.getByTestId('guest-name').fill(name);
}

/** The name under which a guest stands in the room: `guest:` and a hash. */
export function guestTiles(page) {
  return page.locator('[data-testid=tile][data-identity^="guest:"]');
}

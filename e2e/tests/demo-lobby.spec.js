// The demo room's lobby: other callers, refusals in words, and the way in by
// keyboard alone.
import { enterRoom, expectNoSidewaysScroll, openLobby, PHONE } from '../lib/demo-room.js';
import { expect, test } from '../lib/test.js';

test('the guide’s stub-token gets in, to watch', async ({ world, person, room }) => {
  const guide = await person();
  await openLobby(guide, world, null, room);
  await guide.getByTestId('caller-guide').click();
  await enterRoom(guide);
  await expect(guide.getByTestId('may-publish')).toHaveAttribute('data-value', 'false');
  await expect(guide.getByTestId('watch-banner')).toBeVisible();
});

test('a wrong token is refused in words, with a code and a request id that the log knows', async ({ world, person, room }) => {
  const stranger = await person({ viewport: PHONE, allow: [/status of 401/] });
  await openLobby(stranger, world, 'custom', room);
  await stranger.getByTestId('caller-custom').click();
  await stranger.getByTestId('custom-token').fill('wrong.caller.token');
  await stranger.getByTestId('join-button').click();
  await expect(stranger.getByTestId('error-panel')).toBeVisible();
  await expect(stranger.getByTestId('error-panel')).toBeFocused();
  await expect(stranger.getByTestId('error-code')).toHaveText('invalid_token');
  const id = await stranger.getByTestId('request-id').innerText();
  expect(id).toMatch(/^[A-Z0-9]{20,}$/);
  await expect(stranger.getByTestId('error-panel')).toBeInViewport();
  await expectNoSidewaysScroll(stranger);
  expect(world.program.output).toContain(id);
  expect(world.program.output).not.toContain('wrong.caller.token');
  expect(stranger.url()).not.toContain('wrong');
  await expect(stranger.getByTestId('room-view')).toHaveCount(0);

  // The way on is open: another caller, and the panel is gone.
  await stranger.getByTestId('caller-bob').click();
  await enterRoom(stranger);
});

test('a room that cannot be is refused in words', async ({ world, person }) => {
  const page = await person({ allow: [/status of 400/] });
  await openLobby(page, world, 'bob', 'demo');
  await page.getByTestId('room-input').fill('a'.repeat(257));
  await page.getByTestId('join-button').click();
  await expect(page.getByTestId('error-code')).toHaveText('invalid_room');
});

test('by keyboard alone: choose Bob, join, and land on the room’s heading', async ({ world, person, room }) => {
  const page = await person();
  await openLobby(page, world, 'alice', room);
  const press = async (key, until, most) => {
    for (let times = 0; times < most; times++) {
      if (await until()) return;
      await page.keyboard.press(key);
    }
    expect(await until(), `${key} does not lead there`).toBe(true);
  };
  const focused = (selector) => page.evaluate((wanted) => document.activeElement.matches(wanted), selector);
  // Whether anything looks different with the focus than without it. A card hides its radio button, so the card must show it.
  const seen = () =>
    page.evaluate(() => {
      const element = document.activeElement;
      const shown = element.type === 'radio' ? element.closest('label') : element;
      const look = () => {
        const { outlineStyle, outlineWidth, outlineColor, boxShadow, borderColor } = getComputedStyle(shown);
        return [outlineStyle === 'none' ? '' : outlineWidth + outlineColor, boxShadow, borderColor];
      };
      const focused = JSON.stringify(look());
      element.blur();
      const blurred = JSON.stringify(look());
      element.focus();
      return focused !== blurred;
    });

  await press('Tab', () => focused('input[name=caller]'), 10);
  expect(await seen(), 'the focus on the cards can be seen').toBe(true);
  await press('ArrowDown', () => page.getByTestId('caller-bob').getByRole('radio').isChecked(), 6);
  await press('Tab', () => focused('[data-testid=join-button]'), 10);
  expect(await seen(), 'the focus on the button can be seen').toBe(true);
  await page.keyboard.press('Enter');
  await expect(page.getByTestId('room-view')).toHaveAttribute('data-state', 'connected');
  await expect(page.getByRole('heading', { level: 1 })).toBeFocused();
  await expect(page.getByRole('heading', { level: 1 })).toContainText(room);

  // And out again.
  await press('Tab', () => focused('[data-testid=leave-button]'), 12);
  await page.keyboard.press('Enter');
  await expect(page.getByTestId('join-button')).toBeVisible();
});

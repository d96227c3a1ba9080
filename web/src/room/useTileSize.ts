import { useEffect, useState, type RefObject } from 'react';

const GAP = 12;
const SMALLEST = 96;
const WIDEST = 16 / 9;
const TALLEST = 3 / 4;

interface Size {
  width: number;
  height: number;
}

/**
 * The largest tile of which `count` fit, in CSS pixels. Computed here and not
 * by a grid, so that a last row with fewer tiles can stand in the middle.
 */
export function tileSize(width: number, height: number, count: number, shaped: boolean): Size {
  // Alone, a tile may have any shape; beside a screen it has a camera's.
  if (count <= 1 && !shaped) return { width, height };
  const tallest = shaped ? 1 / WIDEST : TALLEST;
  let best: Size = { width: SMALLEST, height: SMALLEST / WIDEST };
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    const cellWidth = (width - GAP * (columns - 1)) / columns;
    const cellHeight = (height - GAP * (rows - 1)) / rows;
    const size = { width: Math.min(cellWidth, cellHeight * WIDEST), height: Math.min(cellHeight, cellWidth * tallest) };
    if (size.width * size.height > best.width * best.height) best = size;
  }
  return { width: Math.floor(best.width), height: Math.floor(best.height) };
}

/** Follows the size of `box`. */
export function useTileSize(box: RefObject<HTMLElement | null>, count: number, shaped: boolean): Size {
  const [space, setSpace] = useState<Size>({ width: 0, height: 0 });
  useEffect(() => {
    if (!box.current) return;
    const observer = new ResizeObserver(([entry]) => entry && setSpace({ width: entry.contentRect.width, height: entry.contentRect.height }));
    observer.observe(box.current);
    return () => observer.disconnect();
  }, [box]);
  return tileSize(space.width, space.height, count, shaped);
}

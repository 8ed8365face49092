/** A card's frame is as high as the gateway's page in it says, so that nothing of a change hides behind a scroll bar. */
const LOWEST = 120;
const HIGHEST = 4000;

interface SizeMessage {
  type: 'skyflo.size';
  height: number;
}

function isSize(data: unknown): data is SizeMessage {
  const message = data as Partial<SizeMessage> | null;
  return typeof message === 'object' && message?.type === 'skyflo.size' && Number.isFinite(message.height);
}

/** Listen for heights. A frame can set its own height and nothing else, so it does not matter who is in it. */
export function resizeFrames(window: Window): void {
  window.addEventListener('message', event => {
    if (!isSize(event.data)) {
      return;
    }
    const height = Math.min(HIGHEST, Math.max(LOWEST, Math.ceil(event.data.height)));
    for (const frame of window.document.querySelectorAll<HTMLIFrameElement>('iframe.skyflo-frame')) {
      if (frame.contentWindow === event.source) {
        frame.style.height = `${height}px`;
      }
    }
  });
}

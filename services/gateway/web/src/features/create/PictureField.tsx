/** A place for pictures: drop, paste or choose one; crop it to the clip's shape; place keyframes along the clip. */
import { useId, useRef, useState, type ClipboardEvent, type DragEvent } from "react";
import { uploadPicture, type ImageSlot } from "../../api/client";
import { Button } from "../../ui/Button";
import { ProblemNotice } from "../../ui/Notice";
import { Crop } from "./Crop";
import type { Picture } from "../../api/draft";

export const assetUrl = (asset: string) => `/api/v2/assets/${asset}`;

interface Props {
  slot: ImageSlot;
  pictures: Picture[];
  aspect: number;
  wrong: string | undefined;
  /** Told how to change what is there: several uploads may be under way at once. */
  onChange: (change: (pictures: Picture[]) => Picture[]) => void;
}

export function PictureField({ slot, pictures, aspect, wrong, onChange }: Props) {
  const [busy, setBusy] = useState(0);
  const [error, setError] = useState<unknown>(null);
  const [over, setOver] = useState(false);
  const [cropped, setCropped] = useState<number | null>(null);
  const input = useRef<HTMLInputElement>(null);
  const heading = useId();
  const room = slot.maximum - pictures.length;
  const add = async (files: Iterable<File>) => {
    const all = [...files];
    const chosen = all.filter((file) => file.type.startsWith("image/")).slice(0, slot.many ? Math.max(room, 0) : 1);
    setError(chosen.length < all.length ? new Error(`${all.length - chosen.length} not added: only pictures, ${slot.maximum} at most.`) : null);
    if (!chosen.length) return;
    setBusy((count) => count + 1);
    try {
      const assets = await Promise.all(chosen.map(uploadPicture));
      onChange((before) =>
        slot.many
          ? [...before, ...assets.map((asset, index) => ({ asset: asset.asset_id, position: placeFor(before.length + index, slot.maximum) }))].slice(0, slot.maximum)
          : assets.map((asset) => ({ asset: asset.asset_id })),
      );
    } catch (refused) {
      setError(refused);
    } finally {
      setBusy((count) => count - 1);
    }
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    void add(event.dataTransfer.files);
  };
  const paste = (event: ClipboardEvent) => {
    if (event.clipboardData.files.length) {
      event.preventDefault();
      void add(event.clipboardData.files);
    }
  };
  const replace = (index: number, next: Partial<Picture>) => onChange((before) => before.map((one, at) => (at === index ? { ...one, ...next } : one)));
  return (
    <section aria-labelledby={heading} className="min-w-0">
      <h3 id={heading} className="label mb-1.5">
        {slot.title}
        {slot.many && <span className="hint ml-2 font-normal">{pictures.length} of {slot.maximum} at most</span>}
      </h3>
      <div className="flex flex-wrap gap-3">
        {pictures.map((picture, index) => (
          <figure key={`${picture.asset}-${index}`} className="w-36 rounded-lg border border-line p-1.5">
            <img src={assetUrl(picture.asset)} alt={`${slot.title} ${index + 1}`} className="aspect-square w-full rounded-md bg-raised object-contain" />
            {slot.many && (
              <label className="hint mt-1 block">
                At {Math.round((picture.position ?? 0) * 100)} % of the clip
                <input
                  type="range"
                  min={0}
                  max={1}
                  step={0.01}
                  value={picture.position ?? 0}
                  onChange={(event) => replace(index, { position: Number(event.target.value) })}
                  className="w-full accent-(--accent)"
                />
              </label>
            )}
            <figcaption className="mt-1 flex gap-1">
              <Button small kind="quiet" onClick={() => setCropped(index)} aria-label={`Crop ${slot.title} ${index + 1}`}>
                Crop
              </Button>
              <Button small kind="quiet" onClick={() => onChange((before) => before.filter((_, at) => at !== index))} aria-label={`Remove ${slot.title} ${index + 1}`}>
                Remove
              </Button>
            </figcaption>
          </figure>
        ))}
        {(room > 0 || (!slot.many && pictures.length === 0)) && (
          <div
            tabIndex={0}
            role="group"
            aria-label={`${slot.title}: drop or paste a picture here`}
            onPaste={paste}
            onDrop={drop}
            onDragOver={(event) => {
              event.preventDefault();
              setOver(true);
            }}
            onDragLeave={() => setOver(false)}
            className={`flex min-h-36 min-w-36 flex-1 flex-col items-center justify-center gap-2 rounded-lg border border-dashed p-3 text-center text-sm ${
              over ? "border-accent bg-soft" : wrong ? "border-bad" : "border-line"
            }`}
          >
            {busy > 0 ? (
              <span role="status">Uploading…</span>
            ) : (
              <>
                <span className="text-dim">Drop or paste a picture, or</span>
                <Button small onClick={() => input.current?.click()}>
                  Choose a file
                </Button>
              </>
            )}
            <input
              ref={input}
              type="file"
              accept="image/png,image/jpeg,image/webp"
              multiple={slot.many}
              aria-label={`${slot.title}: choose a file`}
              className="sr-only"
              tabIndex={-1}
              onChange={(event) => {
                void add(event.target.files ?? []);
                event.target.value = "";
              }}
            />
          </div>
        )}
      </div>
      {wrong && <p className="wrong mt-1">{wrong}</p>}
      {error !== null && <ProblemNotice error={error} />}
      {cropped !== null && pictures[cropped] && (
        <Crop
          url={assetUrl(pictures[cropped].asset)}
          aspect={aspect}
          onClose={() => setCropped(null)}
          onCropped={async (picture) => {
            const asset = await uploadPicture(picture);
            replace(cropped, { asset: asset.asset_id });
            setCropped(null);
          }}
        />
      )}
    </section>
  );
}

/** Where the n-th keyframe stands at first: the first at the start, the second at the end, others between. */
function placeFor(index: number, most: number): number {
  if (index === 0) return 0;
  if (index === 1) return 1;
  return Math.round(((index - 1) / Math.max(2, most - 1)) * 100) / 100;
}

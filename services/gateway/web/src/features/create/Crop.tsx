/** Cutting a picture to the clip's shape, with what part of it stays under the control of two sliders and a zoom. */
import { useState } from "react";
import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { ProblemNotice } from "../../ui/Notice";

export interface Cut {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** The part of a `width` × `height` picture with the wanted aspect: `x`, `y` from 0 to 1 place it, `zoom` ≥ 1 narrows it. */
export function cutOf(width: number, height: number, aspect: number, x: number, y: number, zoom: number): Cut {
  const wide = Math.min(width, height * aspect) / zoom;
  const high = wide / aspect;
  return { left: (width - wide) * x, top: (height - high) * y, width: wide, height: high };
}

interface Props {
  url: string;
  aspect: number;
  onClose: () => void;
  onCropped: (picture: Blob) => Promise<void>;
}

export function Crop({ url, aspect, onClose, onCropped }: Props) {
  const [x, setX] = useState(0.5);
  const [y, setY] = useState(0.5);
  const [zoom, setZoom] = useState(1);
  const [image, setImage] = useState<HTMLImageElement | null>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const cut = image ? cutOf(image.naturalWidth, image.naturalHeight, aspect, x, y, zoom) : null;
  const crop = async () => {
    if (!image || !cut) return;
    setBusy(true);
    try {
      const canvas = document.createElement("canvas");
      canvas.width = Math.max(1, Math.round(cut.width));
      canvas.height = Math.max(1, Math.round(cut.height));
      canvas.getContext("2d")?.drawImage(image, cut.left, cut.top, cut.width, cut.height, 0, 0, canvas.width, canvas.height);
      const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
      if (!blob) throw new Error("The browser could not make the picture.");
      await onCropped(blob);
    } catch (failed) {
      setError(failed);
      setBusy(false);
    }
  };
  return (
    <Dialog title="Crop to the clip's shape" onClose={onClose}>
      <div className="relative mx-auto w-fit overflow-hidden rounded-lg bg-raised">
        <img src={url} alt="The whole picture" onLoad={(event) => setImage(event.currentTarget)} className="block max-h-[50vh] max-w-full opacity-40" />
        {image && cut && (
          <svg viewBox={`0 0 ${image.naturalWidth} ${image.naturalHeight}`} className="absolute inset-0 size-full text-accent" aria-hidden>
            <svg x={cut.left} y={cut.top} width={cut.width} height={cut.height} viewBox={`${cut.left} ${cut.top} ${cut.width} ${cut.height}`}>
              <image href={url} width={image.naturalWidth} height={image.naturalHeight} />
            </svg>
            <rect x={cut.left} y={cut.top} width={cut.width} height={cut.height} fill="none" stroke="currentColor" strokeWidth={image.naturalWidth / 150} />
          </svg>
        )}
      </div>
      <div className="mt-4 grid gap-3 sm:grid-cols-3">
        <Slider label="Left to right" value={x} min={0} max={1} onChange={setX} />
        <Slider label="Top to bottom" value={y} min={0} max={1} onChange={setY} />
        <Slider label="Zoom" value={zoom} min={1} max={4} onChange={setZoom} />
      </div>
      {error !== null && <ProblemNotice error={error} />}
      <div className="mt-4 flex justify-end gap-2">
        <Button onClick={onClose}>Keep the whole picture</Button>
        <Button kind="primary" disabled={!image || busy} onClick={() => void crop()}>
          {busy ? "Cropping…" : "Crop"}
        </Button>
      </div>
    </Dialog>
  );
}

function Slider({ label, value, min, max, onChange }: { label: string; value: number; min: number; max: number; onChange: (value: number) => void }) {
  return (
    <label className="label block">
      {label}
      <input type="range" min={min} max={max} step={0.01} value={value} onChange={(event) => onChange(Number(event.target.value))} className="mt-1 block w-full accent-(--accent)" />
    </label>
  );
}

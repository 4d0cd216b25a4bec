/** The last frame of a clip as a picture, taken by the browser that plays it. */
export async function lastFrame(url: string): Promise<Blob> {
  const video = document.createElement("video");
  video.muted = true;
  video.preload = "auto";
  video.src = url;
  await happened(video, "loadeddata");
  // A moment before the end: at the end itself some browsers show nothing.
  video.currentTime = Math.max(0, video.duration - 0.01);
  await happened(video, "seeked");
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d")?.drawImage(video, 0, 0);
  const picture = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  if (!picture) throw new Error("The browser could not take the frame.");
  return picture;
}

function happened(video: HTMLVideoElement, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    video.addEventListener(name, () => resolve(), { once: true });
    video.addEventListener("error", () => reject(new Error("The browser cannot play this clip.")), { once: true });
  });
}

export default async (pull, story) => { await story.install(); console.log("installed"); const s=performance.now(); await story.first(); console.log("first", performance.now()-s); }

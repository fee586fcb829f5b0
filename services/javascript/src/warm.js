// Run once before a script comes, so that its session finds ready what most scripts use.
// It must print nothing, read nothing, leave no global, end without an error, and never draw a random number: the
// generator is seeded when it is first asked, and what is seeded here is the same in all sessions.
(() => {
    'use strict';
    class Point {
        #x;
        constructor(x, y = 2) { this.#x = x; this.y = y; }
        get x() { return this.#x; }
        toString() { return `${this.x}, ${this.y}`; }
    }
    const fibonacci = n => n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
    const squares = [1, 2, 3].map(n => n * n).filter(n => n > 1);
    let total = 0;
    for (const n of [...squares, fibonacci(5)]) total += n;
    for (let i = 0; i < 20; i++) total = (total * 31 + i) % 1000;
    const { x, ...rest } = { x: new Point(1.5), y: [1, 2], z: null };
    const text = JSON.stringify({ ...rest, x: String(x), total, date: new Date(0) }, null, 1);
    new Map(Object.entries(JSON.parse(text))).forEach((value, key) => [key, value].join('='));
    text.split(/\s+/).map(word => word.padEnd(3).toUpperCase()).sort();
    text.replace(/(\d+)/g, (_, digits) => Number(digits).toFixed(1));
    try {
        null.property;
    } catch (error) {
        String(error.stack);
    }
    function* numbers() { yield* [1, 2, 3]; }
    Promise.all([...numbers()].map(async n => (await n) + 1)).then(list => list.length);
})();

// Just enough of the vendored modules' types for `tsc --checkJs`.
declare module "preact" {
  export function h(...parts: any[]): any;
  export function render(what: any, where: Element): void;
}
declare module "preact/hooks" {
  export function useState<T>(initial: T | (() => T)): [T, (next: T | ((old: T) => T)) => void];
  export function useRef<T>(initial: T): { current: T };
  export function useEffect(run: () => void | (() => void) | undefined, inputs?: unknown[]): void;
  export function useLayoutEffect(run: () => void | (() => void) | undefined, inputs?: unknown[]): void;
  export function useMemo<T>(make: () => T, inputs: unknown[]): T;
}
declare module "htm" {
  const htm: { bind(h: unknown): (strings: TemplateStringsArray, ...values: any[]) => any };
  export default htm;
}
declare module "@preact/signals" {
  export interface Signal<T> {
    value: T;
    peek(): T;
  }
  export function signal<T>(value: T): Signal<T>;
  export function computed<T>(make: () => T): { readonly value: T; peek(): T };
  export function effect(run: () => void | (() => void)): () => void;
}
declare module "uplot" {
  class uPlot {
    constructor(options: any, data: any, element: HTMLElement);
    static paths: { bars?: (options: any) => any };
    readonly data: [number[], ...(number | null)[][]];
    readonly cursor: { idx?: number | null; left?: number };
    readonly select: { left: number; width: number };
    readonly bbox: { left: number; top: number; width: number; height: number };
    readonly ctx: CanvasRenderingContext2D;
    readonly over: HTMLElement;
    readonly root: HTMLElement;
    setData(data: any): void;
    setSize(size: { width: number; height: number }): void;
    setSelect(select: { left: number; top: number; width: number; height: number }, fire?: boolean): void;
    valToPos(value: number, scale: string, canvas?: boolean): number;
    posToVal(position: number, scale: string): number;
    destroy(): void;
  }
  export default uPlot;
}

/** Where the log reports what nobody awaits. `console` fits. */
export interface Logger {
  warn(message: string, details?: object): void;
  error(message: string, details?: object): void;
}

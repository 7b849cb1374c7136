"""The observer's process: notices what people at headquarters have to know, proves levels, and delivers alerts."""
